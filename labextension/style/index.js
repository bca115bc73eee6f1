import './panel.css';
import './options.css';
